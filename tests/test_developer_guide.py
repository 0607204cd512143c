"""The code in the developer guide works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parent.parent / "doc" / "developer_guide.md"


def code_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_guide_shows_code() -> None:
    assert len(code_blocks()) >= 4


def test_the_code_of_the_guide_runs(tmp_path: Path) -> None:
    """In a process of its own, because new components must not stay in this one's metadata."""
    script = "\n".join([*code_blocks(), CHECK])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")


CHECK = """
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from dam.core.database import metadata

engine = create_engine("sqlite://")
metadata.create_all(engine)
with Session(engine) as session:
    test_an_asset_without_a_name_is_reported(session)
    entity = ecs_service.create_entity(session)
    session.add(FilePropertiesComponent(entity_id=entity, original_filename="red kite.jpg", file_size_bytes=1))
    session.flush()
    tag_by_name(session, [entity], EntityFailures())
    assert [tag.word for tag in ecs_service.get_components(session, entity, TagComponent)] == ["red"]
"""
