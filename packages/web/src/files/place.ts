/** Where files are in a browser: one of four places, by a value that can cross to the engine's worker. */
import { ConfigError, type Directory, type DirectoryTree } from "@trimtab/core";
import { type DroppedFiles, droppedDirectory } from "./dropped-files";
import { pickedDirectory } from "./handle-directory";
import { storageDirectory } from "./storage-directory";
import { type UrlPlace, urlDirectory } from "./url-directory";

/** A directory in the browser's storage for this site, by path, e.g. `models/poet`. */
export interface StoragePlace {
  readonly storage: string;
}

/** Files that a person dropped or chose; read only. */
export interface FilesPlace {
  readonly files: DroppedFiles;
}

/** A directory that a person picked, e.g. `await showDirectoryPicker({ mode: "readwrite" })`. */
export interface PickedPlace {
  readonly directory: FileSystemDirectoryHandle;
}

/** The directory of a model, a checkpoint or a run. Storage and picked directories can be written. */
export type Place = UrlPlace | StoragePlace | FilesPlace | PickedPlace;

/**
 * The directory that a place names. Throws StorageError where the browser has no such place, CheckpointError for reading what is not there.
 *
 * @param baseUrl what relative URLs are relative to; default: the page's address, in a worker that of its file
 */
export async function openPlace(place: Place, baseUrl: string = pageUrl()): Promise<Directory & DirectoryTree> {
  if ("storage" in place) return storageDirectory(place.storage);
  if ("files" in place) return droppedDirectory(place.files);
  if ("directory" in place) return pickedDirectory(place.directory);
  if ("url" in place) return urlDirectory(place, baseUrl);
  throw new ConfigError(`openPlace: a place must be { url }, { storage }, { files } or { directory }, got ${JSON.stringify(place)}.`);
}

/** The address of the page, or of the worker's file. */
export function pageUrl(): string {
  return globalThis.document?.baseURI ?? globalThis.location.href;
}
