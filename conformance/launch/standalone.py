"""PyPI fhirclient completes a standalone launch: a patient signs in and consents by posting the pages' own forms, without a
browser; then the app reads the patient and the vital signs, and renews its token.

Usage: standalone.py WORLD
"""

import json
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests
from fhirclient import client as smart
from fhirclient.models.observation import Observation

REDIRECT = "http://127.0.0.1:9/python"


class Forms(HTMLParser):
    """The forms of a page: address, fields with what they hold, and buttons."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        if tag == "form":
            self.found.append({"action": has["action"], "fields": []})
        elif tag in ("input", "button") and self.found and "name" in has:
            kind = has.get("type", "submit" if tag == "button" else "text")
            checked = kind not in ("checkbox", "radio") or "checked" in has
            if checked and kind != "submit":
                self.found[-1]["fields"].append((has["name"], has.get("value", "")))


class Person:
    """Somebody who fills in forms."""

    def __init__(self):
        self.session = requests.Session()
        self.page = None

    def open(self, url):
        self.page = self.session.get(url, allow_redirects=False, timeout=30)
        self.follow()

    def submit(self, action, **filled):
        form = next(form for form in Forms(self.page.text).found if form["action"] == action)
        fields = [(name, value) for name, value in form["fields"] if name not in filled]
        self.page = self.session.post(
            urljoin(self.page.url, action), data=fields + list(filled.items()), allow_redirects=False, timeout=30
        )
        self.follow()

    def follow(self):
        """Goes where the server sends a browser, but for the app's own address."""
        while self.page.is_redirect and not self.page.headers["Location"].startswith(REDIRECT):
            where = urljoin(self.page.url, self.page.headers["Location"])
            self.page = self.session.get(where, allow_redirects=False, timeout=30)
        assert self.page.status_code in (200, 302, 303), self.page.text


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        world = json.load(file)
    truth = world["truth"]["patients"][world["patient"]]
    app = smart.FHIRClient(
        settings={
            "app_id": "python-app",
            "api_base": f"{world['url']}/t/{world['tenant']}/fhir",
            "redirect_uri": REDIRECT,
            "scope": "patient/*.read openid fhirUser offline_access",
        }
    )
    assert not app.prepare(), "it needs a token"

    person = Person()
    person.open(app.authorize_url)
    person.submit("sign-in", **world["person"])
    person.submit("consent", decision="allow")
    app.handle_callback(person.page.headers["Location"])

    assert app.ready and app.patient_id == world["patient"], app.launch_context
    assert "patient/*.read" in app.launch_context["scope"].split(), app.launch_context["scope"]
    assert app.human_name(app.patient.name[0]) == truth["name"]
    search = Observation.where({"patient": app.patient_id, "code": "http://loinc.org|8867-4", "_count": "200"})
    found = len(search.perform_resources(app.server))
    assert found == truth["points"]["Heart rate"], found

    before = app.server.auth.access_token
    assert app.reauthorize() and app.server.auth.access_token != before
    app._patient = None
    assert app.patient.id == world["patient"]
    print(f"{app.human_name(app.patient.name[0])}: {found} heart rates; renewed, and read again")


main()
