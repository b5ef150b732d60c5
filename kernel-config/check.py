#!/usr/bin/python3
"""Merge kernel configuration fragments, and prove that a built configuration is what they ask for.

check.py merge ARCH [EXTRA...]           print the merged fragments for KCONFIG_ALLCONFIG
check.py kept ARCH CONFIG [EXTRA...]     fail when CONFIG lost a requested value
check.py score ARCH CONFIG               fail when the hardening score is not the recorded one
check.py failing ARCH CONFIG             print what the hardening checker holds against CONFIG
"""

import sys
from pathlib import Path

import fragments
import score


def command_merge(arch, *extra):
    """Print the merged fragments."""
    sys.stdout.write(fragments.allconfig(fragments.merge(fragments.paths(arch, extra))))
    return 0


def command_kept(arch, config, *extra):
    """Compare a built configuration with its fragments."""
    merged = fragments.merge(fragments.paths(arch, extra))
    lost = fragments.lost(merged, fragments.built(Path(config).read_text()))
    for entry in lost:
        print(entry, file=sys.stderr)
    if lost:
        print(f"{config}: {len(lost)} of {len(merged)} requested values were lost", file=sys.stderr)
        return 1
    print(f"{config}: all {len(merged)} requested values were kept")
    return 0


def take_score(arch, config):
    """(version, results) with the recommended command line."""
    fragments.paths(arch)
    return score.take(config, fragments.FOLDER / "cmdline")


def command_score(arch, config):
    """Compare the hardening score with its record."""
    version, results = take_score(arch, config)
    record = fragments.FOLDER / f"hardening-score.{arch}"
    found = score.complaints(record.read_text(), version, results)
    for text in found:
        print(f"{record.name}: {text}", file=sys.stderr)
    ok = sum(result["check_result_bool"] for result in results)
    print(f"{config}: {ok} of {len(results)} hardening checks pass (kernel-hardening-checker {version})")
    return 1 if found else 0


def command_failing(arch, config):
    """Print each failing check as the record names it."""
    version, results = take_score(arch, config)
    print(f"checker {version}\nok {sum(result['check_result_bool'] for result in results)}")
    for result in results:
        if not result["check_result_bool"]:
            print(f"{score.name(result)}  # {result['check_result']}")
    return 0


COMMANDS = {
    "merge": (command_merge, 1, 9),
    "kept": (command_kept, 2, 9),
    "score": (command_score, 2, 2),
    "failing": (command_failing, 2, 2),
}


def main(argv):
    """Run one command."""
    command, least, most = COMMANDS.get(argv[0] if argv else "", (None, 0, 0))
    if command is None or not least <= len(argv) - 1 <= most:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return command(*argv[1:])
    except (fragments.FragmentError, score.ScoreError, OSError) as error:
        print(f"check.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
