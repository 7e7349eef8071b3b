/** Opens the studio in the page. */
import "./trusted-types";
import { createEngine, openPlace, removeStored } from "@trimtab/web";
import { pageTokens } from "../src/feedback/theme";
import type { TrimtabStudio } from "./app";
import "./app";
import { LiveStudio } from "./live-studio";
import { readSettings, writeSettings } from "./settings";

document.adoptedStyleSheets.push(pageTokens.styleSheet as CSSStyleSheet);
const studio = await LiveStudio.open({ createEngine: (device) => createEngine({ device }), removeStored, openPlace }, readSettings());
studio.store.subscribe(({ theme, device }) => writeSettings({ theme, device }));
addEventListener("pagehide", () => void studio.flush());
document.addEventListener("visibilitychange", () => void studio.flush());

const app = document.createElement("trimtab-studio") as TrimtabStudio;
app.studio = studio;
document.body.append(app);
