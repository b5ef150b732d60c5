"""What the fragments and the checks over a built configuration promise."""

import subprocess

import pytest

import check
import fragments
import score


def write(folder, name, text):
    """A fragment of its own."""
    path = folder / name
    path.write_text(text)
    return path


def test_a_line_gives_name_value_and_place(tmp_path):
    path = write(tmp_path, "a.config", '# heading\n\nCONFIG_A=y  # why\nCONFIG_B="x # y"   # why not\n')
    assert fragments.merge([path]) == {
        "A": fragments.Request("y", "a.config", 3),
        "B": fragments.Request('"x # y"', "a.config", 4),
    }


@pytest.mark.parametrize("line", ["CONFIG_A=y", "CONFIG_A=y  #", "CONFIG_A = y  # x", "A=y  # x", "CONFIG_A=  # x"])
def test_a_line_without_reason_or_value_is_refused(tmp_path, line):
    path = write(tmp_path, "a.config", f"\n{line}\n")
    with pytest.raises(fragments.FragmentError, match="a.config:2"):
        fragments.merge([path])


def test_a_symbol_in_two_fragments_is_refused_with_both_places(tmp_path):
    first = write(tmp_path, "a.config", "CONFIG_A=y  # x\n")
    second = write(tmp_path, "b.config", "\nCONFIG_A=y  # x\n")
    with pytest.raises(fragments.FragmentError, match="b.config:2: CONFIG_A stands in a.config:1"):
        fragments.merge([first, second])


def test_a_prepared_fragment_may_turn_on_what_is_off_and_nothing_else(tmp_path):
    base = write(tmp_path, "base.config", "CONFIG_A=n  # x\nCONFIG_B=4  # x\n")
    more = write(tmp_path, "metal.config", "CONFIG_A=y  # x\n")
    assert fragments.merge([base, more])["A"] == fragments.Request("y", "metal.config", 1)
    more.write_text("CONFIG_B=8  # x\n")
    with pytest.raises(fragments.FragmentError, match="CONFIG_B"):
        fragments.merge([base, more])


@pytest.mark.parametrize(
    ("built", "lost"),
    [
        ("CONFIG_A=y\nCONFIG_S=16\n", []),
        ("CONFIG_A=y\nCONFIG_S=16\n# CONFIG_B is not set\n", []),
        ("# CONFIG_A is not set\nCONFIG_S=16\n", ["a.config:1: CONFIG_A: wanted y, got n"]),
        ("CONFIG_S=16\n", ["a.config:1: CONFIG_A: wanted y, got n"]),
        ("CONFIG_A=y\nCONFIG_S=17\n", ["a.config:2: CONFIG_S: wanted 16, got 17"]),
        ("CONFIG_A=y\nCONFIG_S=16\nCONFIG_B=y\n", ["a.config:3: CONFIG_B: wanted n, got y"]),
    ],
)
def test_a_lost_value_is_named_with_its_place(tmp_path, built, lost):
    path = write(tmp_path, "a.config", "CONFIG_A=y  # x\nCONFIG_S=16  # x\nCONFIG_B=n  # x\n")
    found = fragments.lost(fragments.merge([path]), fragments.built(built))
    assert [str(entry) for entry in found] == lost


@pytest.mark.parametrize("arch", fragments.ARCHES)
@pytest.mark.parametrize("extra", [(), ("cloud",), ("metal",), ("cloud", "metal")])
def test_the_fragments_merge(arch, extra):
    merged = fragments.merge(fragments.paths(arch, extra))
    assert merged["MODULES"].value == "n"
    assert len(fragments.allconfig(merged).splitlines()) == len(merged)


def test_every_fragment_belongs_to_a_kernel():
    used = {path for arch in fragments.ARCHES for path in fragments.paths(arch, fragments.PREPARED)}
    assert used == set(fragments.FOLDER.glob("*.config"))


def test_kept_fails_when_one_requested_value_is_lost(tmp_path, capsys):
    merged = fragments.merge(fragments.paths("arm64"))
    config = write(tmp_path, "config", fragments.allconfig(merged))
    assert check.main(["kept", "arm64", str(config)]) == 0
    config.write_text(config.read_text().replace("CONFIG_CGROUP_BPF=y\n", ""))
    assert check.main(["kept", "arm64", str(config)]) == 1
    assert "containers.config" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["kept", "x86_64"], ["nonsense"], ["score", "a", "b", "c"]])
def test_a_wrong_command_line_prints_usage(words, capsys):
    assert check.main(words) == 2
    assert "check.py merge" in capsys.readouterr().err


def test_an_unknown_architecture_is_named(capsys):
    assert check.main(["merge", "riscv"]) == 1
    assert "'riscv'" in capsys.readouterr().err


RECORD = "checker 1.0\nok 2\n# heading\nCONFIG_C=y  # too dear\n"


def results(**ok):
    """Results as the checker prints them."""
    return [
        {"option_name": f"CONFIG_{name}", "desired_val": "y", "check_result": "x", "check_result_bool": value}
        for name, value in ok.items()
    ]


def test_the_recorded_score_is_accepted():
    assert score.complaints(RECORD, "1.0", results(A=True, B=True, C=False)) == []


def test_a_fallen_score_is_named_with_the_option():
    found = score.complaints(RECORD, "1.0", results(A=True, B=False, C=False))
    assert found[0] == "the hardening score fell from 2 to 1"
    assert found[1].startswith("CONFIG_B=y: ")


def test_a_new_failure_is_an_error_though_the_score_is_the_same():
    found = score.complaints(RECORD, "1.0", results(A=True, B=False, C=True))
    assert [text.split(":")[0] for text in found] == ["CONFIG_B=y", "CONFIG_C=y"]


def test_a_risen_score_must_be_recorded():
    found = score.complaints(RECORD, "1.0", results(A=True, B=True, C=True))
    assert found[-1] == "the hardening score rose from 2 to 3: record it"


def test_another_checker_is_only_held_to_the_number():
    assert score.complaints(RECORD, "2.0", results(A=True, B=True, C=True, D=False)) == []
    assert score.complaints(RECORD, "2.0", results(A=True, B=False, C=False)) != []


@pytest.mark.parametrize("record", ["", "ok 2\n", "checker 1.0\nok 2\nCONFIG_C=y\n", "checker 1.0\nok 2\nCONFIG_C=y  # \n"])
def test_a_record_without_head_or_reason_is_refused(record):
    with pytest.raises(score.ScoreError):
        score.parse(record)


@pytest.mark.parametrize("arch", fragments.ARCHES)
def test_the_records_pass_what_is_promised(arch):
    _, passing, accepted = score.parse((fragments.FOLDER / f"hardening-score.{arch}").read_text())
    assert passing > 197 and accepted


def test_a_package_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_HARDENING_CHECKER", str(write(tmp_path, "x.deb", "no")))
    with pytest.raises(score.ScoreError, match="not a Debian package"):
        score.take(tmp_path / "config", tmp_path / "cmdline")


@pytest.mark.parametrize("words", [[], ["x86_64"], ["riscv", __file__, "out"]])
def test_the_build_refuses_a_wrong_command_line(words, tmp_path):
    run = subprocess.run(
        [fragments.FOLDER / "build.sh", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False
    )
    assert run.returncode == 2
    assert ("riscv" if "riscv" in words else "ARCH SOURCE OUTDIR") in run.stderr


def test_check_sh_fails_when_either_check_does(tmp_path):
    config = write(tmp_path, "config", "")
    run = subprocess.run(
        [fragments.FOLDER / "check.sh", "x86_64", config],
        env={"PATH": "/usr/bin:/bin", "KERNEL_HARDENING_CHECKER": str(config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "requested values were lost" in run.stdout and "not a Debian package" in run.stdout
