"""One target under atheris: `python -m tests.fuzz.child TARGET FOLDER [libFuzzer's options]`.

What the oracle objects to is written into FOLDER, one input for each place at which it does, and the run
goes on.  What ends the process (a time-out, too much memory) is libFuzzer's to write down.
"""

import hashlib
import sys
import traceback
from pathlib import Path

import atheris


def main() -> None:
    """Fuzz until libFuzzer has enough, which ends the process."""
    _, name, folder, *options = sys.argv
    with atheris.instrument_imports(include=["gateway", "launcher", "yaml"]):
        from tests.fuzz.targets import load  # noqa: PLC0415 - what is imported here is watched

        target = load(name)
    findings = Path(folder)
    told: set[str] = set()

    def one_input(data: bytes) -> None:
        try:
            target.check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            place = "".join(
                f"{each.filename}:{each.lineno}\n" for each in traceback.extract_tb(error.__traceback__)
            )
            sign = hashlib.sha256(f"{type(error)}{place}".encode()).hexdigest()[:12]
            if sign not in told:
                told.add(sign)
                (findings / sign).write_bytes(data)
                why = "".join(traceback.format_exception(error))
                (findings / f"{sign}.txt").write_bytes(why.encode(errors="backslashreplace"))

    atheris.Setup([name, *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
