"""What PyPI sslyze found, judged: only TLS 1.2 and 1.3, only forward-secret AEAD suites, no renegotiation that a client
begins, no compression, none of the old holes, and Mozilla's "intermediate" profile (sslyze's own judgement, by its exit
code) kept.

    judge.py FOUND.json
"""

import json
import sys

found = json.load(open(sys.argv[1], encoding="utf-8"))
[server] = found["server_scan_results"]
scan = server["scan_result"]
rows = 0


def holds(what, so):
    global rows
    rows += 1
    if not so:
        sys.exit(f"{what}: does not hold")


def result(name):
    part = scan[name]
    if part["status"] != "COMPLETED":
        sys.exit(f"{name}: sslyze did not look ({part['status']}, {part.get('error_reason')})")
    return part["result"]


def suites(version):
    return {suite["cipher_suite"]["name"] for suite in result(f"{version}_cipher_suites")["accepted_cipher_suites"]}


for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
    holds(f"{version} is refused", not suites(version))
tls12, tls13 = suites("tls_1_2"), suites("tls_1_3")
holds("TLS 1.2 is spoken", tls12)
holds("TLS 1.3 is spoken", tls13)
for name in tls12:
    aead = name.endswith(("_GCM_SHA256", "_GCM_SHA384", "_CHACHA20_POLY1305_SHA256"))
    holds(f"{name} is ECDHE with an AEAD", name.startswith("TLS_ECDHE_") and aead)
holds("no compression", not result("tls_compression")["supports_compression"])
renegotiation = result("session_renegotiation")
holds("no renegotiation by the client", renegotiation["client_renegotiations_success_count"] == 0)
holds("renegotiation that is asked for is answered safely", renegotiation["supports_secure_renegotiation"])
holds("no early data", not result("tls_1_3_early_data")["supports_early_data"])
holds("no way down to older versions", result("tls_fallback_scsv")["supports_fallback_scsv"])
holds("extended master secret", result("tls_extended_master_secret")["supports_ems_extension"])
holds("no Heartbleed", not result("heartbleed")["is_vulnerable_to_heartbleed"])
holds("no CCS injection", not result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"])
holds("no ROBOT", result("robot")["robot_result"].startswith("NOT_VULNERABLE"))
print(f"{len(tls12)} suites of TLS 1.2, {len(tls13)} of TLS 1.3, {rows} rows, Mozilla intermediate")
