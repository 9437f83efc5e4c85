# An organisation with people, apps and services, for the checks of conformance/launch. Read by conformance/run, whose
# names it uses; sets `app_server`, the process that serves the demo app.

CLINIC=lakeview
NEIGHBOUR=hillside
launch="$PWD/conformance/launch"
world="$work/launch.json"

# client TENANT ID SCOPE ARGUMENTS…: registers one, and prints it.
client() {
  local tenant="$1" id="$2" scope="$3"
  shift 3
  "$vitals" client create --tenant "$tenant" --id "$id" --scope "$scope" "$@" --json
}

# Serves the demo app, and sets `app` to its address.
serve_app() {
  node conformance/smart-app/serve.mjs --port 0 --iss "$url/t/$CLINIC/fhir" >"$work/app.ready" 2>"$work/app.log" &
  app_server=$!
  for _ in $(seq 100); do
    grep -q 'listening on' "$work/app.ready" && break
    sleep 0.1
  done
  app="$(sed -n 's/^listening on //p' "$work/app.ready")"
  [ -n "$app" ] || { cat "$work/app.log"; return 1; }
}

register() {
  local whole="launch launch/patient openid fhirUser offline_access online_access patient/*.rs"
  node "$launch/backend.mjs" key "$work/node.jwks" "$work/node.key" || return 1
  "$python" "$launch/backend.py" key "$work/python.jwks" "$work/python.key" || return 1
  client "$CLINIC" vitals-chart "$whole" --name "Vitals chart" --redirect-uri "$app" --launch-uri "${app}launch.html" || return 1
  client "$CLINIC" ehr launch --name "Lakeview EHR" --ehr --secret >"$work/ehr.json" || return 1
  client "$CLINIC" python-app "$whole" --redirect-uri http://127.0.0.1:9/python || return 1
  client "$CLINIC" portal "$whole" --redirect-uri http://127.0.0.1:9/portal --secret >"$work/portal.json" || return 1
  client "$CLINIC" directory "openid fhirUser user/Patient.rs" --redirect-uri http://127.0.0.1:9/directory || return 1
  client "$CLINIC" openid-app "$whole" --redirect-uri http://127.0.0.1:9/openid --jwks "$work/node.jwks" --require-proof || return 1
  client "$CLINIC" python-service system/Observation.rs --jwks "$work/python.jwks" || return 1
  client "$CLINIC" node-service system/Observation.rs --jwks "$work/node.jwks" || return 1
  local each
  for each in "$CLINIC" "$NEIGHBOUR"; do
    client "$each" two-homes "$whole" --redirect-uri http://127.0.0.1:9/two-homes || return 1
  done
}

prepare_launch() {
  "$python" "$launch/vitals.py" "$work/launch.ndjson" "$work/truth.json" || return 1
  "$vitals" tenant create "$CLINIC" --name "Lakeview Clinic" --json || return 1
  "$vitals" tenant create "$NEIGHBOUR" --name "Hillside Clinic" --json || return 1
  "$vitals" tenant set "$CLINIC" --colour '#0b6b5f' || return 1
  "$vitals" import --tenant "$CLINIC" --json "$work/launch.ndjson" || return 1
  "$vitals" user create --tenant "$CLINIC" --username ruth.abel --name "Dr Ruth Abel" --fhir-user Practitioner/abel \
    --json >"$work/practitioner.json" || return 1
  "$vitals" user create --tenant "$CLINIC" --username ida --name "Ida Abeling" --fhir-user Patient/ida \
    --json >"$work/person.json" || return 1
  "$vitals" user create --tenant "$CLINIC" --username clerk --name "Carl Clerk" --scope users:read \
    --json >"$work/clerk.json" || return 1
  serve_app && register || return 1
  "$python" - "$work" "$url" "$app" "$CLINIC" "$NEIGHBOUR" >"$world" <<'PYTHON' || return 1
import json, sys
work, url, app, clinic, neighbour = sys.argv[1:]
read = lambda name: json.load(open(f"{work}/{name}.json", encoding="utf-8"))
person = lambda name: {key: read(name)[key] for key in ("username", "password")}
secret = lambda name: {"id": read(name)["client_id"], "secret": read(name)["client_secret"]}
print(json.dumps({
    "url": url, "app": app, "tenant": clinic, "neighbour": neighbour, "client": "vitals-chart", "patient": "ida",
    "ehr": secret("ehr"), "portal": secret("portal"),
    "practitioner": person("practitioner"), "person": person("person"), "clerk": person("clerk"),
    "truth": read("truth"),
}))
PYTHON
  chmod 600 "$world"
  echo "two organisations, three people, nine apps and services"
}
