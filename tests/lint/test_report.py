"""Reports: order, what is told once, formats, settings and the baseline."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from compose_ops.errors import ConfigurationError, FindingsFound, UsageError
from compose_ops.lint import AcceptedRule, Finding, LintReport, LintSettings, all_rules
from compose_ops.lint import baseline as baselines
from compose_ops.lint.output import refused, rendered
from compose_ops.lint.report import Skipped, faults
from compose_ops.lint.run import (
    explain,
    settled,
    update_baseline,
    without_echoes,
)
from compose_ops.lint.settings import check_settings


def finding(rule: str, severity: str, service: str, **change: object) -> Finding:
    made = Finding(
        rule,
        severity,
        "compose.yml",
        4,
        f"{service} is at fault",
        "Mend it.",
        f"services.{service}.image",
        ("case",),
    )
    return replace(made, **change)  # type: ignore[arg-type]


NOTED = finding("new-privileges", "note", "one")
WARNED = finding("image-unpinned", "warning", "one")
FAILED = finding("privileged", "error", "one")
OTHERS = tuple(finding("privileged", "error", name) for name in ("two", "three"))
MANY = (NOTED, WARNED, FAILED, *OTHERS, replace(FAILED, rule="fatal-setting", line=9))
HOSTILE = "\x1b[2J::error::x\r\ny\u202e"


def test_text_names_the_worst_first_and_each_fault_once() -> None:
    """Errors come first; what further services share is one line, not one each."""
    lines = rendered(LintReport(MANY, rules=70), "text").splitlines()

    assert [
        line.split(": ")[1] for line in lines if line.startswith("compose.yml")
    ] == [
        "error",
        "error",
        "warning",
        "note",
    ]
    assert "    also in 2 services: three, two" in lines
    assert lines[-1] == "70 rules, 6 findings, 0 accepted"


def test_text_says_what_to_fix_first() -> None:
    """The summary counts by rule and names the faults to begin with."""
    text = rendered(LintReport(MANY), "text")

    assert "    3  privileged      error" in text
    assert "Fix these two first:" in text
    assert text.index("  1. compose.yml:4 one is at fault") < text.index("  2. compose")


def test_text_counts_what_could_not_be_judged() -> None:
    """A rule that lacked what it must know is counted, with what that is."""
    report = LintReport((), (Skipped("root-user", "what is in the image", 3),), rules=9)

    assert rendered(report, "text") == (
        "9 rules, 0 findings, 0 accepted, "
        "1 rule not fully judged (what is in the image)\n"
    )


def test_accepted_and_known_findings_do_not_fail() -> None:
    accepted = replace(FAILED, accepted="it is a trial")
    report = LintReport((accepted,), known=(WARNED,))

    report.refuse()
    assert "1 accepted, 1 known from the baseline" in rendered(report, "text")


@pytest.mark.parametrize(
    ("fail_on", "failing"), [("error", 4), ("warning", 5), ("note", 6), ("never", 0)]
)
def test_severity_that_fails_is_a_setting(fail_on: str, failing: int) -> None:
    """Exit code 11 comes from the severity asked for and from worse ones."""
    report = LintReport(MANY, settings=LintSettings(fail_on=fail_on))

    assert len(report.failing) == failing
    if failing:
        with pytest.raises(FindingsFound) as refused_with:
            report.refuse()
        assert refused_with.value.exit_code == 11
    else:
        report.refuse()


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_foreign_text_is_escaped(form: str) -> None:
    """Control characters, commands of a CI log and text direction marks are inert."""
    hostile = replace(FAILED, message=HOSTILE, file="a,b:c%\nd.yml", accepted="")
    text = rendered(LintReport((hostile,)), form)

    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert sum(line.startswith("::") for line in text.splitlines()) == (
        form == "github"
    )
    assert "::error::x" not in text or form in {"json", "sarif", "text"}


def test_annotation_has_place_rule_and_link() -> None:
    text = rendered(LintReport((FAILED,)), "github")

    assert text == (
        "::error file=compose.yml,line=4,col=1,title=privileged::"
        "one is at fault. Mend it. docs/rules.md#privileged\n"
    )


def test_json_has_a_schema_and_everything_found() -> None:
    report = LintReport((*MANY, replace(FAILED, accepted="why")), known=(WARNED,))
    found = json.loads(rendered(report, "json"))

    assert found["schema"] == 1
    assert (len(found["findings"]), len(found["accepted"]), found["known"]) == (6, 1, 1)
    assert found["failing"] == 4
    assert found["findings"][0]["help"].startswith("docs/rules.md#")


def test_sarif_has_rules_levels_places_and_suppressions() -> None:
    report = LintReport((NOTED, FAILED, replace(WARNED, accepted="why", column=7)))
    (run,) = json.loads(rendered(report, "sarif"))["runs"]

    assert {one["id"] for one in run["tool"]["driver"]["rules"]} == {
        "new-privileges",
        "privileged",
        "image-unpinned",
    }
    assert [one["level"] for one in run["results"]] == ["note", "error", "warning"]
    assert run["results"][2]["suppressions"][0]["justification"] == "why"
    place = run["results"][2]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 4, "startColumn": 7}
    assert place["artifactLocation"] == {"uri": "compose.yml", "uriBaseId": "ROOT"}


def test_machine_formats_tell_a_refusal_too() -> None:
    """A run that could not judge still prints an object, with the error's code."""
    error = ConfigurationError("compose.yml:3: no YAML", hint="mend it")

    assert json.loads(refused(error, "json"))["error"]["code"] == 3
    (run,) = json.loads(refused(error, "sarif"))["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert refused(error, "text") == ""


def test_unknown_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no format 'xml'"):
        rendered(LintReport(()), "xml")


def test_settings_turn_rules_off_down_and_accept_them() -> None:
    """A rule can be off or milder, a file left out, a finding accepted by path."""
    settings = LintSettings(
        rules={"image-unpinned": "off", "privileged": "warning"},
        exclude=("vendor/*",),
        accept=(AcceptedRule("fatal-setting", "upstream's own", path="services.one"),),
    )
    left = list(settled((*MANY, replace(NOTED, file="vendor/x.yml")), settings))

    assert Counter(one.rule for one in left) == {
        "privileged": 3,
        "new-privileges": 1,
        "fatal-setting": 1,
    }
    assert {one.severity for one in left if one.rule == "privileged"} == {"warning"}
    assert [one.accepted for one in left if one.accepted] == ["upstream's own"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LintSettings(fail_on="fatal"), "no severity 'fatal'"),
        (LintSettings(rules={"no-rule": "off"}), "'no-rule', which does not exist"),
        (LintSettings(rules={"privileged": "bad"}), "the severity 'bad'"),
        (LintSettings(accept=(AcceptedRule("privileged", " "),)), "without a reason"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    settings: LintSettings, words: str
) -> None:
    with pytest.raises((UsageError, ConfigurationError), match=words):
        check_settings(settings, all_rules())


def test_baseline_leaves_only_new_findings(tmp_path: Path) -> None:
    """Findings known before do not count, also when lines move; a second one does."""
    file = tmp_path / "baseline.json"
    settings = LintSettings(baseline=file)
    update_baseline(LintReport((FAILED, WARNED), settings=settings))
    moved = (replace(FAILED, line=40), WARNED, replace(FAILED, line=80))

    new, known = baselines.split(moved, baselines.read(file))

    assert new == (replace(FAILED, line=80),)
    assert known == (replace(FAILED, line=40), WARNED)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2, "findings": []}', "{}"])
def test_unreadable_baseline_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(text)

    with pytest.raises(ConfigurationError, match="no baseline that can be read"):
        baselines.read(tmp_path / "b.json")


def test_explain_says_what_the_reference_says() -> None:
    text = explain("privileged")

    assert text.startswith("### privileged\n")
    assert "Repair: " in text
    with pytest.raises(UsageError, match="no rule 'nothing'"):
        explain("nothing")


def test_one_line_that_several_services_share_is_one_fault() -> None:
    shared = [
        replace(one, message="the anchor is at fault") for one in (FAILED, *OTHERS)
    ]

    assert [len(fault.others) for fault in faults(shared)] == [2]


def test_what_is_declared_nowhere_is_said_once() -> None:
    """Compose's refusal goes where a rule says the same at the same place."""
    words = 'refused: service "a" refers to undefined volume data: invalid'
    refused_by = replace(
        finding("refused-by-compose", "error", "a"),
        message=words,
    )
    rule = replace(
        finding("used-undeclared", "error", "a"),
        message="volume data is declared nowhere",
    )

    assert list(without_echoes([refused_by, rule])) == [rule]
    assert list(without_echoes([refused_by])) == [refused_by]


def test_json_names_the_services_that_a_rule_could_not_judge() -> None:
    report = LintReport((), (Skipped("root-user", "the image", 2, ("a", "b")),))

    (skipped,) = json.loads(rendered(report, "json"))["skipped"]

    assert skipped["services"] == ["a", "b"]
