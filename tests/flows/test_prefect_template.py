"""The empty database the demo's server starts from fits the installed Prefect."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic.script import ScriptDirectory
from prefect.server.database.alembic_commands import alembic_config

from flows.prefect_server import TEMPLATE, lay_database


def test_the_template_has_gone_through_every_migration_and_holds_nothing(tmp_path: Path) -> None:
    assert TEMPLATE.exists(), "run: make prefect-template"
    database = tmp_path / "home" / "prefect.db"

    lay_database(database)

    # Prefect keeps a folder of migrations for each kind of database.
    config = alembic_config()
    folder = Path(str(config.config_file_name)).parent / "_migrations" / "versions" / "sqlite"
    config.set_main_option("version_locations", str(folder))
    head = ScriptDirectory.from_config(config).get_current_head()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(head,)]
        assert connection.execute("SELECT count(*) FROM flow_run").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM block_document").fetchone() == (0,)
