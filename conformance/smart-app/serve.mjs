// Serves the demo app: a few files, and npm `fhirclient` as its makers built it for browsers.
//
//   npm install --prefix target/smart-app fhirclient@2.6.3
//   node conformance/smart-app/serve.mjs --iss http://127.0.0.1:8080/t/acme/fhir --client vitals-chart
//
//   --port 9000        where it listens, on 127.0.0.1; 0 takes any
//   --iss URL          FHIR base URL of the organisation it works with
//   --client ID        what that organisation knows it as
//   --scope "…"        what it asks for in a standalone launch
//   --packages FOLDER  node_modules with fhirclient in it; else NODE_PATH, else target/smart-app/node_modules
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "9000" },
    iss: { type: "string", default: "http://127.0.0.1:8080/t/acme/fhir" },
    client: { type: "string", default: "vitals-chart" },
    scope: {
      type: "string",
      default: "launch/patient openid fhirUser offline_access patient/Patient.r patient/Observation.rs",
    },
    packages: {
      type: "string",
      default: process.env.NODE_PATH || path.join(here, "../../target/smart-app/node_modules"),
    },
  },
});
// An EHR says by its handle which patient it is about; nothing else differs.
const settings = {
  iss: options.iss,
  clientId: options.client,
  scope: options.scope,
  launchScope: options.scope.replace("launch/patient", "launch"),
};

const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json" };
const built = path.join(options.packages, "fhirclient/build/fhir-client.pure.min.js");
const names = ["index.html", "launch.html", "app.css", "app.js", "launch.js", "chart.js", "vitals.js", "words.js"];
const files = new Map(names.map((name) => [`/${name}`, readFileSync(path.join(here, name))]));
files.set("/", files.get("/index.html"));
files.set("/fhir-client.js", readFileSync(built));
files.set("/settings.json", JSON.stringify(settings));

/** Scripts and styles of our own only; data from the one organisation only. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  `connect-src 'self' ${new URL(options.iss).origin}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const server = createServer((request, response) => {
  const name = new URL(request.url, "http://localhost").pathname;
  const file = files.get(name);
  response.setHeader("Content-Security-Policy", policy);
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Cache-Control", "no-store");
  if (!["GET", "HEAD"].includes(request.method)) return response.writeHead(405, { Allow: "GET, HEAD" }).end();
  if (!file) return response.writeHead(404, { "Content-Type": "text/plain" }).end("There is nothing at this address.\n");
  const type = TYPES[path.extname(name)] ?? "text/html";
  return response.writeHead(200, { "Content-Type": `${type}; charset=utf-8` }).end(file);
});
server.listen(Number(options.port), "127.0.0.1", () => {
  const { port } = server.address();
  console.log(`listening on http://127.0.0.1:${port}/`);
});
