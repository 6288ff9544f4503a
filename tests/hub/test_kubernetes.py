"""The files for Kubernetes, as far as they can be tried without a cluster, a registry or the chart."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "classroom" / "kubernetes"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text("utf-8"))
RECIPE = (FOLDER / "Dockerfile").read_text("utf-8")

# What the chart takes: a short part of jupyterhub/values.schema.yaml in github.com/jupyterhub/zero-to-jupyterhub-k8s,
# which refuses every other key. Below `...` any key is allowed.
SCHEMA = {
    "custom": ...,
    "hub": {"config": ..., "extraConfig": ...},
    "proxy": {"service": {"type"}},
    "singleuser": {
        "image": {"name", "tag"},
        "memory": {"guarantee", "limit"},
        "cpu": {"guarantee", "limit"},
        "storage": {"capacity": str, "homeMountPath": str, "extraVolumes": list, "extraVolumeMounts": list},
        "extraEnv": ...,
        "extraFiles": {"passwd": {"mountPath", "stringData"}},
        "uid": (int, type(None)),
        "fsGid": int,
        "startTimeout": int,
        "defaultUrl": str,
    },
    "cull": {"enabled", "timeout", "every"},
}


def unknown(values, schema, where="") -> list[str]:
    """Keys that the schema does not have, and values of another type."""
    if schema is ...:
        return []
    if isinstance(schema, (type, tuple)):
        return [] if isinstance(values, schema) else [f"{where}: {values!r}"]
    found = [f"{where}.{key}" for key in values if key not in schema]
    if isinstance(schema, dict):
        for key in values.keys() & schema.keys():
            found += unknown(values[key], schema[key], f"{where}.{key}")
    return found


def test_the_chart_knows_every_key():
    assert unknown(VALUES, SCHEMA) == []
    planted = {"singleuser": {"memory": {"limits": "1G"}, "uid": "me"}, "culling": {}}
    assert set(unknown(planted, SCHEMA)) == {".singleuser.memory.limits", ".singleuser.uid: 'me'", ".culling"}


def test_every_person_is_somebody_on_the_exchange(monkeypatch):
    """The hub gives each a user number of their own, and the system's list of names says the same."""
    uids = VALUES["custom"]["uids"]
    assert len(set(uids.values())) == len(uids) and min(uids.values()) > 1000
    rows = [line.split(":") for line in VALUES["singleuser"]["extraFiles"]["passwd"]["stringData"].splitlines()]
    assert {row[0]: int(row[2]) for row in rows if row[0] != "root"} == uids
    c = SimpleNamespace(Authenticator=SimpleNamespace(), KubeSpawner=SimpleNamespace())
    chart = SimpleNamespace(get_config={"custom.uids": uids}.get)
    monkeypatch.setitem(__import__("sys").modules, "z2jh", chart)
    exec(VALUES["hub"]["extraConfig"]["people"], {"c": c})
    assert c.Authenticator.allowed_users == set(uids)
    for name, uid in uids.items():
        assert c.KubeSpawner.uid(SimpleNamespace(user=SimpleNamespace(name=name))) == uid
    assert VALUES["singleuser"]["uid"] is None, "a number here would be everybody's"
    assert VALUES["hub"]["config"]["Authenticator"]["admin_users"] == [name for name in uids if name == "teacher"]


def test_the_image_has_what_it_copies_and_no_lesson():
    copied = [word for line in re.findall(r"^COPY (.+)$", RECIPE, re.M) for word in line.split()[:-1]]
    assert copied and all((ROOT / path).exists() for path in copied)
    assert {path.split("/")[0] for path in copied} & {"notebooks", "tests", "docs", ".", ".git"} == set()


def test_the_image_has_a_python_that_the_course_allows():
    (version,) = re.findall(r"^FROM python:(\d+\.\d+)-", RECIPE, re.M)
    assert version in SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    assert f"Python {version})" in (ROOT / "constraints.txt").read_text().splitlines()[0]
    assert "-c constraints.txt" in RECIPE


def test_the_exchange_lies_where_nbgrader_looks():
    (mount,) = VALUES["singleuser"]["storage"]["extraVolumeMounts"]
    (volume,) = VALUES["singleuser"]["storage"]["extraVolumes"]
    assert mount["name"] == volume["name"]
    assert f"ENV DENOISING_EXCHANGE={mount['mountPath']}" in RECIPE


def test_a_server_starts_in_the_home():
    home = VALUES["singleuser"]["storage"]["homeMountPath"]
    assert re.findall(r"^WORKDIR (.+)$", RECIPE, re.M)[-1] == home
    rows = [line.split(":") for line in VALUES["singleuser"]["extraFiles"]["passwd"]["stringData"].splitlines()]
    assert {row[5] for row in rows if row[0] != "root"} == {home}
