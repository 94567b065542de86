"""A hub of one data set that speaks the Hugging Face hub's JSON, with any fault in its files."""

import hashlib
import json

COMMIT = "a" * 40


def publish(site, repo, files, *, license_="cc0-1.0", large=()):
    """Let `site` be a hub: a repository with these files; `large` ones are kept by their hash."""
    entries = []
    for path, content in files.items():
        entry = {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content),
                 "path": path}  # fmt: skip
        if path in large:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content),
                            "pointerSize": 134}  # fmt: skip
        entries.append(entry)
        site.files[f"/datasets/{repo}/resolve/{COMMIT}/{path}"] = content
    folders = sorted({path.rpartition("/")[0] for path in files if "/" in path})
    entries += [{"type": "directory", "oid": "0" * 40, "size": 0, "path": one} for one in folders]
    info = {"id": repo, "sha": COMMIT, "cardData": {"license": license_}, "tags": [],
            "siblings": [{"rfilename": path} for path in files], "private": False,
            "downloads": 0, "likes": 0, "gated": False, "disabled": False}  # fmt: skip
    for place, answer in {
        f"/api/datasets/{repo}": info,
        f"/api/datasets/{repo}/revision/main": info,
        f"/api/datasets/{repo}/revision/{COMMIT}": info,
        f"/api/datasets/{repo}/tree/{COMMIT}": entries,
    }.items():
        site.files[place] = json.dumps(answer).encode()
        site.types[place] = "application/json"
