/** Where files are in a browser: one of five places, by a value that can cross to the engine's worker. */
import { ConfigError, type Directory, type DirectoryTree, type HubPlace } from "@trimtab/core";
import { type DroppedFiles, droppedDirectory } from "./dropped-files";
import { pickedDirectory } from "./handle-directory";
import { hubDirectory } from "./hub-directory";
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

/** The directory of a model, a checkpoint or a run; text is a name on the hub, `org/name` or `org/name@revision`. Storage and picked directories can be written. */
export type Place = string | HubPlace | UrlPlace | StoragePlace | FilesPlace | PickedPlace;

/**
 * The directory that a place names. Throws StorageError where the browser has no such place, CheckpointError for reading what is not there, HubError for
 * what the hub refuses.
 *
 * @param baseUrl what relative URLs are relative to; default: the page's address, in a worker that of its file
 */
export async function openPlace(place: Place, baseUrl: string = pageUrl()): Promise<Directory & DirectoryTree> {
  if (typeof place === "string") return hubDirectory({ hub: place });
  if ("hub" in place) return hubDirectory(place);
  if ("storage" in place) return storageDirectory(place.storage);
  if ("files" in place) return droppedDirectory(place.files);
  if ("directory" in place) return pickedDirectory(place.directory);
  if ("url" in place) return urlDirectory(place, baseUrl);
  throw new ConfigError(
    `openPlace: a place must be a name on the hub, { hub }, { url }, { storage }, { files } or { directory }, got ${JSON.stringify(place)}.`,
  );
}

/** The address of the page, or of the worker's file. */
export function pageUrl(): string {
  return globalThis.document?.baseURI ?? globalThis.location.href;
}
