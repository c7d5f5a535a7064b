"""Asks a real Kong what it says of every file of the corpus, and writes kong-verdicts.json.

python tests/unit/ctl/corpus/record.py http://127.0.0.1:8001

The Kong runs without a database, with the three plugins of this project (`yeastarctl lua-path`), and is left empty.
Files of decK and manifests are not Kong's to judge, and are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import requests

CORPUS = Path(__file__).resolve().parent
VERDICTS = CORPUS / "kong-verdicts.json"
_NOT_KONG_S = ("\nkind: ", "_info:", "\ngateway:\n  image:")


def main(url: str) -> None:
    verdicts = {}
    with requests.Session() as session:
        session.trust_env = False
        for path in sorted(CORPUS.glob("*/*.yml")):
            text = path.read_text(encoding="utf-8")
            if any(mark in text for mark in _NOT_KONG_S):
                continue
            answer = session.post(f"{url}/config", files={"config": (path.name, text)}, timeout=30)
            document = answer.json()
            taken = answer.status_code == 201
            verdicts[f"{path.parent.name}/{path.name}"] = {
                "status": answer.status_code,
                "errors": None if taken else document.get("fields") or document.get("message"),
            }
        session.post(f"{url}/config", files={"config": ("empty.yml", '_format_version: "3.0"\n')}, timeout=30)
    VERDICTS.write_text(json.dumps(verdicts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
