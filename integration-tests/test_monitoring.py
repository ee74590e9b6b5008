"""The dashboard and the rules in `config/` name only metrics that the programs tell of."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from toka.performance import BURN_RULES

_TOKA = (sys.executable, "-m", "toka.cli")
_CONFIG = Path(__file__).resolve().parent.parent / "config"
_RULES = yaml.safe_load((_CONFIG / "prometheus" / "toka-rules.yaml").read_text())
_DASHBOARD = json.loads((_CONFIG / "grafana" / "toka.json").read_text())
_DURATION = re.compile(r"\d+[smhdw]")
_NOT_METRICS = {
    *("sum", "max", "rate", "increase", "deriv", "histogram_quantile", "predict_linear"),
    *("by", "on", "and", "label_values"),
}


def _rules() -> list[dict[str, Any]]:
    return [rule for group in _RULES["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in _DASHBOARD["panels"] if "targets" in panel]


def _expressions() -> list[str]:
    variables = [each["query"]["query"] for each in _DASHBOARD["templating"]["list"][1:]]
    shown = [target["expr"] for panel in _panels() for target in panel["targets"]]
    return [*variables, *shown, *(rule["expr"] for rule in _rules())]


def _metrics_in(expression: str) -> set[str]:
    """Return the names of an expression of PromQL that are neither words of it nor labels."""
    plain = re.sub(r"label_values\((\w+), \w+\)", r"\1", expression)
    plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on) \([^)]*\)", " ", plain)
    return set(re.findall(r"(?<![\w.:])[a-z_][\w:]*", plain)) - _NOT_METRICS


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a service that is observed tells, after a run."""
    folder = tmp_path_factory.mktemp("service")
    subprocess.run([*_TOKA, "init", "agents"], cwd=folder, check=True)  # noqa: S603 - our own
    run = [*_TOKA, "run", "agents", "--input", "target=agents"]
    subprocess.run(run, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    serve = [*_TOKA, "serve", "--port", "0", "--print-token", "--telemetry"]
    with subprocess.Popen(  # noqa: S603 - our own program
        serve, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url, token = (process.stdout.readline().split()[-1] for _ in range(2))
            return _scraped(url, token)
        finally:
            process.terminate()


def _scraped(url: str, token: str) -> str:
    """Ask until the first waking of the event loop and the first request have been counted."""
    text, deadline = "", time.monotonic() + 20
    while time.monotonic() < deadline:
        request = urllib.request.Request(  # noqa: S310 - on loopback
            f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - on loopback
            text = answer.read().decode()
        if "toka_event_loop_lag_seconds_bucket" in text and "toka_http_requests_total{" in text:
            return text
        time.sleep(0.05)
    raise AssertionError(text)


@pytest.fixture(scope="module")
def told(text: str) -> set[str]:
    """The names of metrics in it."""
    return set(re.findall(r"^([a-z_]\w*)(?:\{.*\})? [-+\d.eInfNa]+$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def labels(text: str) -> set[str]:
    """The names of labels in it."""
    return set(re.findall(r'[{,]([a-z_]\w*)="', text))


@pytest.mark.parametrize("expression", _expressions())
def test_an_expression_names_only_what_is_told(expression: str, told: set[str]) -> None:
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    metrics = _metrics_in(expression)

    assert metrics
    assert metrics <= told | recorded
    assert not re.search(r"\$(?!job|__rate_interval)", expression)


def test_labels_that_are_grouped_by_are_told(labels: set[str]) -> None:
    grouped = {
        label.strip()
        for expression in _expressions()
        for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        for label in names.split(",")
    }
    # Prometheus itself adds the last two.
    assert grouped <= labels | {"job", "instance"}


def test_the_windows_and_rates_are_those_of_the_library() -> None:
    seconds = {"m": 60, "h": 3600, "d": 86_400}
    found: list[tuple[float, float, float]] = []
    for rule in _rules():
        windows = re.findall(r"ratio_rate(\d+)([mhd])", rule["expr"])
        if "alert" in rule and windows:
            rate = re.search(r"> (?:([\d.]+) \* )?0\.001", rule["expr"])
            assert rate
            long, short = (float(number) * seconds[unit] for number, unit in windows)
            found.append((long, short, float(rate[1] or 1)))

    assert found == [(rule.long, rule.short, rule.rate) for rule in BURN_RULES]


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert all(panel["title"] and panel["description"] for panel in _panels())
    identities = [panel["id"] for panel in _DASHBOARD["panels"]]
    assert len(identities) == len(set(identities))


def test_the_rules_have_the_form_that_prometheus_documents() -> None:
    assert set(_RULES) == {"groups"}
    names = [rule.get("alert") or rule["record"] for rule in _rules()]
    assert len(names) == len(set(names))
    for rule in _rules():
        alert = {"alert", "expr", "labels", "annotations", "for", "keep_firing_for"}
        assert set(rule) <= (alert if "alert" in rule else {"record", "expr"})
        assert all(_DURATION.fullmatch(rule.get(key, "1m")) for key in ("for", "keep_firing_for"))
        expression = re.sub(r'"[^"]*"', "", rule["expr"])
        for opening, closing in ("()", "[]", "{}"):
            assert expression.count(opening) == expression.count(closing)
        assert all(_DURATION.fullmatch(each) for each in re.findall(r"\[([^\]]*)\]", expression))


def test_an_alert_without_a_wait_has_two_windows_that_must_agree() -> None:
    for rule in _rules():
        if "alert" in rule and "for" not in rule:
            assert len(re.findall(r"ratio_rate\w+ >", rule["expr"])) == 2


def test_what_a_summary_names_is_a_label_of_its_alert(labels: set[str]) -> None:
    for rule in _rules():
        named = set(re.findall(r"\$labels\.(\w+)", str(rule.get("annotations", ""))))
        assert named <= labels | {"job", "instance"}
        grouped = re.search(r"\bby \(([^)]*)\)", rule["expr"])
        if "alert" in rule and grouped:
            assert named <= {each.strip() for each in grouped[1].split(",")}


def test_the_dashboard_shows_nothing_but_what_it_asks_for() -> None:
    """The first Toka drew its dashboard at random: here there is no figure in the file."""
    for panel in _panels():
        assert all(target["expr"] for target in panel["targets"])
        assert not {"data", "snapshotData", "rawData"} & set(panel)
    assert "random" not in json.dumps(_DASHBOARD).lower()


def test_every_alert_says_how_much_it_matters_and_why() -> None:
    for rule in _rules():
        if "alert" in rule:
            assert set(rule["labels"]) == {"severity"}
            assert rule["annotations"]["summary"]
