// Begins everything that a page does in the browser. Pages work without it, but stand still.
import { beginActions } from "./actions.js";
import { beginEvents } from "./events.js";
import { beginKeys } from "./keys.js";
import { beginLive } from "./live.js";
import { beginTheme } from "./theme.js";
import { beginTimes } from "./times.js";

beginTheme();
beginTimes();
beginActions();
beginKeys();
beginLive();
beginEvents();
