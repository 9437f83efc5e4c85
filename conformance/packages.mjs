// Packages that conformance/run installed outside of this tree: NODE_PATH leads to them, which only `require` follows.
import { createRequire } from "node:module";

/** The package of that name. */
export const load = createRequire(import.meta.url);
