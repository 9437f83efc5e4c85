// Requirements of SMART App Launch and of the g10 certification, one small check each, against a running server. The
// functions' names are the evidence in smart.tsv and g10.tsv beside this file.
//
// Usage: node check.mjs WORLD [NAME…]
import { launch } from "../browser.mjs";
import * as authorize from "./checks/authorize.mjs";
import * as context from "./checks/context.mjs";
import * as discovery from "./checks/discovery.mjs";
import * as introspect from "./checks/introspect.mjs";
import * as token from "./checks/token.mjs";

const wanted = process.argv.slice(3);
const browser = await launch();
let [held, broken] = [0, []];
try {
  for (const [name, check] of [discovery, authorize, token, context, introspect].flatMap((module) => Object.entries(module))) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    try {
      await check(browser);
      held += 1;
    } catch (error) {
      broken.push(name);
      console.error(`${name}: ${error.stack}`);
    }
  }
} finally {
  await browser.close();
}
console.log(broken.length > 0 ? `do not hold: ${broken.join(", ")}` : `${held} checks hold`);
process.exitCode = broken.length > 0 ? 1 : 0;
