"""Two patients with ninety days of vital signs up to today, and the truth about them.

Usage: vitals.py NDJSON TRUTH
TRUTH counts, for each patient, the points a chart of ninety days shows, and how many vital signs fall into the month
before today.
"""

import datetime
import json
import math
import sys

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
DAYS, MONTH = 88, 30
PATIENTS = [("ida", "Ida", "Abeling", "1961-04-12", "female"), ("jonas", "Jonas", "Abeling", "1988-09-30", "male")]


def quantity(value, unit, code):
    return {"value": round(value, 1), "unit": unit, "system": UCUM, "code": code}


def concept(code, text):
    return {"coding": [{"system": LOINC, "code": code, "display": text}], "text": text}


def observations(patient, today):
    """One heart rate a day, blood pressure every third day, weight every week."""
    for back in range(DAYS):
        day = today - datetime.timedelta(days=back)
        phase = math.sin(back / 6)

        def measured(name, code, text, hour, **value):
            return {
                "resourceType": "Observation",
                "id": f"{patient}-{name}-{back}",
                "status": "final",
                "category": [{"coding": [CATEGORY]}],
                "code": concept(code, text),
                "subject": {"reference": f"Patient/{patient}"},
                "effectiveDateTime": f"{day.isoformat()}T{hour:02}:00:00Z",
                **value,
            }

        rate = quantity(64 + round(9 * phase), "beats/minute", "/min")
        yield measured("rate", "8867-4", "Heart rate", 0, valueQuantity=rate)
        if back % 3 == 0:
            parts = [("8480-6", "Systolic blood pressure", 124 + 8 * phase), ("8462-4", "Diastolic blood pressure", 79 + 5 * phase)]
            component = [{"code": concept(c, t), "valueQuantity": quantity(round(v), "mmHg", "mm[Hg]")} for c, t, v in parts]
            yield measured("pressure", "85354-9", "Blood pressure", 0, component=component)
        if back % 7 == 0:
            weight = quantity(71.5 + back / 40, "kg", "kg")
            yield measured("weight", "29463-7", "Body weight", 0, valueQuantity=weight)


def main():
    ndjson, truth = sys.argv[1:]
    today = datetime.datetime.now(datetime.timezone.utc).date()
    first = (today - datetime.timedelta(days=MONTH)).isoformat()
    counted = {"month": {"from": first, "until": today.isoformat(), "vitals": 0}, "patients": {}}
    with open(ndjson, "w", encoding="utf-8") as out:
        for patient, given, family, born, gender in PATIENTS:
            name = [{"use": "official", "family": family, "given": [given]}]
            resource = {"resourceType": "Patient", "id": patient, "name": name, "birthDate": born, "gender": gender}
            out.write(json.dumps(resource) + "\n")
            points = {}
            for observation in observations(patient, today):
                out.write(json.dumps(observation) + "\n")
                title = observation["code"]["text"]
                points[title] = points.get(title, 0) + len(observation.get("component", [0]))
                day = observation["effectiveDateTime"][:10]
                counted["month"]["vitals"] += first <= day < today.isoformat()
            counted["patients"][patient] = {"name": f"{given} {family}", "points": points}
    with open(truth, "w", encoding="utf-8") as out:
        json.dump(counted, out)


main()
