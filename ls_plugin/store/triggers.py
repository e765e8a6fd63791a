"""Rules inside the database, behind every view: bulk paths skip ``save()``, and no code of ours runs there.

They belong to the connections of a server that runs the plugin, not to the database: on SQLite they are temporary
triggers of each connection, on PostgreSQL triggers that do nothing unless the connection says ``quorum.on``. So a
server without the plugin finds a plain database. A refusal reaches Django as an ``IntegrityError`` whose text is
``quorum:<code>``; :mod:`ls_plugin.store.refusals` holds the sentence for each code.

What they enforce on a task of a campaign:

* an annotation comes in only from somebody who was given the task, who has none on it, who is not excluded, while it
  is not sealed and, unless it is a skip, while fewer than ``capacity`` others hold a seat; from whom QA gave the row
  back to there comes one more, though it is sealed;
* an annotation keeps its author and its task, so that no account with answers can be deleted; a sealed one keeps its
  content; a skip becomes a submission only if a seat is free; only a skip is deleted;
* the data of a Pass task, and the project of any task, never change;
* what was said in a thread is neither changed nor deleted.

They also keep the index: a slot for each new task, seats taken, and the mark that a row needs a reconcile, in the
transaction of the change itself, so that nothing is lost when the process dies right after it.
"""

# The statements are built from constants of this module only: no value of anybody goes into their text.
# ruff: noqa: E501, S608

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate

_NEW_SLOT = """
INSERT INTO ls_plugin_slot
  (task_id, project_id, stage, row_id, domain, wants_expert, has_expert, requires, capacity, taken, open, sealed, state, dirty, draw)
SELECT n.id, n.project_id, p.stage, n.row_id, n.domain, {wants}, {false}, '', p.capacity, 0, {open}, {false}, '', {dirty}, {draw}
FROM (SELECT {id} AS id, {project} AS project_id, {row_id} AS row_id, {domain} AS domain {source}) n
JOIN ls_plugin_campaignproject p ON p.project_id = n.project_id
"""

# The same text for both databases: Django gives SQLite the function.
_DRAW = "CASE WHEN p.seed = '' THEN '' ELSE substr(MD5(p.seed || ':' || n.row_id), 1, 8) END"
_SQLITE_NEW = {
    "draw": _DRAW,
    "wants": "n.domain <> '' AND instr(p.expert_domains, ',' || n.domain || ',') > 0",
    # A task without a row is nobody's work.
    "open": "p.stage = 0 AND n.row_id <> ''",
    "dirty": "p.stage > 0 AND n.row_id <> ''",
    "false": "0",
}
_SQLITE_ROW = "substr(CAST(coalesce(json_extract({0}.data, '$.row_id'), '') AS TEXT), 1, 500)"
_SQLITE_DOMAIN = (
    "substr(CAST(coalesce(nullif(json_extract({0}.data, '$.domain'), ''), "
    "json_extract({0}.meta, '$.quorum.predicted_domain'), '') AS TEXT), 1, 200)"
)
_POSTGRES_NEW = {
    "draw": _DRAW,
    "wants": "n.domain <> '' AND position(',' || n.domain || ',' in p.expert_domains) > 0",
    # A task without a row is nobody's work.
    "open": "p.stage = 0 AND n.row_id <> ''",
    "dirty": "p.stage > 0 AND n.row_id <> ''",
    "false": "false",
}
_POSTGRES_ROW = "left(coalesce({0}.data ->> 'row_id', ''), 500)"
_POSTGRES_DOMAIN = (
    "left(coalesce(nullif({0}.data ->> 'domain', ''), {0}.meta #>> '{{quorum,predicted_domain}}', ''), 200)"
)

_IS_RETURNED = (
    "EXISTS (SELECT 1 FROM ls_plugin_grant g WHERE g.task_id = NEW.task_id AND g.user_id = NEW.completed_by_id "
    "AND g.live AND g.returned IS NOT NULL)"
)
_SEAT_TAKEN = "(SELECT count(*) FROM task_completion c WHERE c.task_id = NEW.task_id AND NOT c.was_cancelled AND c.id IS NOT NEW.id)"

_SQLITE = (
    f"""CREATE TEMP TRIGGER quorum_task_new AFTER INSERT ON main.task
    WHEN EXISTS (SELECT 1 FROM ls_plugin_campaignproject WHERE project_id = NEW.project_id)
    BEGIN {
        _NEW_SLOT.format(
            id="NEW.id",
            project="NEW.project_id",
            row_id=_SQLITE_ROW.format("NEW"),
            domain=_SQLITE_DOMAIN.format("NEW"),
            source="",
            **_SQLITE_NEW,
        )
    }; END""",
    """CREATE TEMP TRIGGER quorum_task_data BEFORE UPDATE OF data, project_id ON main.task
    WHEN EXISTS (SELECT 1 FROM ls_plugin_slot s WHERE s.task_id = OLD.id
                 AND (NEW.project_id IS NOT OLD.project_id OR (s.stage = 0 AND NEW.data <> OLD.data AND json(NEW.data) <> json(OLD.data))))
    BEGIN SELECT RAISE(ABORT, 'quorum:task_data'); END""",
    """CREATE TEMP TRIGGER quorum_task_gone AFTER DELETE ON main.task
    WHEN EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = OLD.id)
    BEGIN
      DELETE FROM ls_plugin_grant WHERE task_id = OLD.id;
      DELETE FROM ls_plugin_excluded WHERE task_id = OLD.id;
      DELETE FROM ls_plugin_slot WHERE task_id = OLD.id;
    END""",
    f"""CREATE TEMP TRIGGER quorum_answer_new BEFORE INSERT ON main.task_completion
    WHEN EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = NEW.task_id)
    BEGIN
      SELECT RAISE(ABORT, 'quorum:second') WHERE EXISTS (
        SELECT 1 FROM task_completion c WHERE c.task_id = NEW.task_id AND c.completed_by_id IS NEW.completed_by_id)
        AND NOT {_IS_RETURNED};
      SELECT RAISE(ABORT, 'quorum:sealed') WHERE (SELECT sealed FROM ls_plugin_slot WHERE task_id = NEW.task_id)
        AND NOT {_IS_RETURNED};
      SELECT RAISE(ABORT, 'quorum:full') WHERE NOT NEW.was_cancelled
        AND {_SEAT_TAKEN} >= (SELECT capacity FROM ls_plugin_slot WHERE task_id = NEW.task_id);
      SELECT RAISE(ABORT, 'quorum:excluded') WHERE EXISTS (
        SELECT 1 FROM ls_plugin_excluded e WHERE e.task_id = NEW.task_id AND e.user_id = NEW.completed_by_id);
      SELECT RAISE(ABORT, 'quorum:not_given') WHERE NOT EXISTS (
        SELECT 1 FROM ls_plugin_grant g WHERE g.task_id = NEW.task_id AND g.user_id = NEW.completed_by_id AND g.live);
    END""",
    """CREATE TEMP TRIGGER quorum_answer_in AFTER INSERT ON main.task_completion
    WHEN EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = NEW.task_id)
    BEGIN
      UPDATE ls_plugin_slot SET dirty = 1, taken = taken + (NOT NEW.was_cancelled) WHERE task_id = NEW.task_id;
      UPDATE ls_plugin_grant SET live = 0, skipped = NEW.was_cancelled, returned = NULL
        WHERE task_id = NEW.task_id AND user_id = NEW.completed_by_id;
    END""",
    f"""CREATE TEMP TRIGGER quorum_answer_change BEFORE UPDATE ON main.task_completion
    WHEN (NEW.result IS NOT OLD.result OR NEW.was_cancelled IS NOT OLD.was_cancelled OR NEW.task_id IS NOT OLD.task_id
          OR NEW.completed_by_id IS NOT OLD.completed_by_id)
         AND EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id IN (OLD.task_id, NEW.task_id))
    BEGIN
      SELECT RAISE(ABORT, 'quorum:author') WHERE NEW.task_id IS NOT OLD.task_id
        OR (NEW.completed_by_id IS NOT OLD.completed_by_id AND NEW.completed_by_id IS NOT NULL);
      SELECT RAISE(ABORT, 'quorum:has_work') WHERE NEW.completed_by_id IS NULL AND OLD.completed_by_id IS NOT NULL
        AND NOT OLD.was_cancelled;
      SELECT RAISE(ABORT, 'quorum:sealed') WHERE (SELECT sealed FROM ls_plugin_slot WHERE task_id = OLD.task_id)
        AND (json(NEW.result) IS NOT json(OLD.result) OR NEW.was_cancelled IS NOT OLD.was_cancelled);
      SELECT RAISE(ABORT, 'quorum:full') WHERE OLD.was_cancelled AND NOT NEW.was_cancelled
        AND {_SEAT_TAKEN} >= (SELECT capacity FROM ls_plugin_slot WHERE task_id = NEW.task_id);
    END""",
    """CREATE TEMP TRIGGER quorum_answer_changed AFTER UPDATE ON main.task_completion
    WHEN (NEW.result IS NOT OLD.result OR NEW.was_cancelled IS NOT OLD.was_cancelled)
         AND EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = NEW.task_id)
    BEGIN
      UPDATE ls_plugin_slot SET dirty = 1, taken = taken + OLD.was_cancelled - NEW.was_cancelled
        WHERE task_id = NEW.task_id;
    END""",
    """CREATE TEMP TRIGGER quorum_answer_kept BEFORE DELETE ON main.task_completion
    WHEN NOT OLD.was_cancelled AND EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = OLD.task_id AND row_id <> '')
    BEGIN SELECT RAISE(ABORT, 'quorum:answered'); END""",
    """CREATE TEMP TRIGGER quorum_answer_gone AFTER DELETE ON main.task_completion
    WHEN EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = OLD.task_id)
    BEGIN
      UPDATE ls_plugin_slot SET dirty = 1, taken = taken - (NOT OLD.was_cancelled) WHERE task_id = OLD.task_id;
    END""",
    """CREATE TEMP TRIGGER quorum_message_kept BEFORE UPDATE ON main.ls_plugin_message
    BEGIN SELECT RAISE(ABORT, 'quorum:message_stays'); END""",
    """CREATE TEMP TRIGGER quorum_message_stays BEFORE DELETE ON main.ls_plugin_message
    BEGIN SELECT RAISE(ABORT, 'quorum:message_stays'); END""",
    """CREATE TEMP TRIGGER quorum_guidelines_kept BEFORE UPDATE ON main.ls_plugin_guidelineversion
    BEGIN SELECT RAISE(ABORT, 'quorum:guidelines_stay'); END""",
    """CREATE TEMP TRIGGER quorum_guidelines_stay BEFORE DELETE ON main.ls_plugin_guidelineversion
    BEGIN SELECT RAISE(ABORT, 'quorum:guidelines_stay'); END""",
)
_SQLITE_NAMES = tuple(sql.split()[3] for sql in _SQLITE)

_POSTGRES_ANSWERS = """
CREATE OR REPLACE FUNCTION quorum_answer_check() RETURNS trigger AS $$
DECLARE slot ls_plugin_slot%%ROWTYPE;
DECLARE taken_now integer;
BEGIN
  IF current_setting('quorum.on', true) IS DISTINCT FROM 'on' THEN RETURN NEW; END IF;
  IF TG_OP = 'UPDATE' THEN
    IF NEW.result::text IS NOT DISTINCT FROM OLD.result::text AND NEW.was_cancelled IS NOT DISTINCT FROM OLD.was_cancelled
       AND NEW.task_id IS NOT DISTINCT FROM OLD.task_id AND NEW.completed_by_id IS NOT DISTINCT FROM OLD.completed_by_id THEN
      RETURN NEW;
    END IF;
    IF EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id IN (OLD.task_id, NEW.task_id))
       AND (NEW.task_id IS DISTINCT FROM OLD.task_id
            OR (NEW.completed_by_id IS DISTINCT FROM OLD.completed_by_id AND NEW.completed_by_id IS NOT NULL)) THEN
      RAISE EXCEPTION 'quorum:author' USING ERRCODE = '23514';
    END IF;
    IF NEW.completed_by_id IS NULL AND OLD.completed_by_id IS NOT NULL AND NOT OLD.was_cancelled
       AND EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = OLD.task_id) THEN
      RAISE EXCEPTION 'quorum:has_work' USING ERRCODE = '23514';
    END IF;
  END IF;
  -- The lock makes the counting below exact: whoever comes second waits here and then counts what the first one added.
  SELECT * INTO slot FROM ls_plugin_slot WHERE task_id = NEW.task_id FOR UPDATE;
  IF NOT FOUND THEN RETURN NEW; END IF;
  SELECT count(*) INTO taken_now FROM task_completion c
    WHERE c.task_id = NEW.task_id AND NOT c.was_cancelled AND c.id IS DISTINCT FROM NEW.id;
  IF TG_OP = 'INSERT' THEN
    IF NOT %(is_returned)s THEN
      IF EXISTS (SELECT 1 FROM task_completion c WHERE c.task_id = NEW.task_id AND c.completed_by_id IS NOT DISTINCT FROM NEW.completed_by_id) THEN
        RAISE EXCEPTION 'quorum:second' USING ERRCODE = '23514';
      END IF;
      IF slot.sealed THEN RAISE EXCEPTION 'quorum:sealed' USING ERRCODE = '23514'; END IF;
    END IF;
    IF NOT NEW.was_cancelled AND taken_now >= slot.capacity THEN RAISE EXCEPTION 'quorum:full' USING ERRCODE = '23514'; END IF;
    IF EXISTS (SELECT 1 FROM ls_plugin_excluded e WHERE e.task_id = NEW.task_id AND e.user_id = NEW.completed_by_id) THEN
      RAISE EXCEPTION 'quorum:excluded' USING ERRCODE = '23514';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM ls_plugin_grant g WHERE g.task_id = NEW.task_id AND g.user_id = NEW.completed_by_id AND g.live) THEN
      RAISE EXCEPTION 'quorum:not_given' USING ERRCODE = '23514';
    END IF;
  ELSE
    IF slot.sealed AND (NEW.result::jsonb IS DISTINCT FROM OLD.result::jsonb OR NEW.was_cancelled IS DISTINCT FROM OLD.was_cancelled) THEN
      RAISE EXCEPTION 'quorum:sealed' USING ERRCODE = '23514';
    END IF;
    IF OLD.was_cancelled AND NOT NEW.was_cancelled AND taken_now >= slot.capacity THEN
      RAISE EXCEPTION 'quorum:full' USING ERRCODE = '23514';
    END IF;
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION quorum_answer_note() RETURNS trigger AS $$
BEGIN
  IF current_setting('quorum.on', true) IS DISTINCT FROM 'on' THEN RETURN NULL; END IF;
  IF TG_OP = 'INSERT' THEN
    UPDATE ls_plugin_slot SET dirty = true, taken = taken + (NOT NEW.was_cancelled)::int WHERE task_id = NEW.task_id;
    UPDATE ls_plugin_grant SET live = false, skipped = NEW.was_cancelled%(taken)s
      WHERE task_id = NEW.task_id AND user_id = NEW.completed_by_id;
  ELSIF TG_OP = 'DELETE' THEN
    UPDATE ls_plugin_slot SET dirty = true, taken = taken - (NOT OLD.was_cancelled)::int WHERE task_id = OLD.task_id;
  ELSIF NEW.result::text IS DISTINCT FROM OLD.result::text OR NEW.was_cancelled IS DISTINCT FROM OLD.was_cancelled THEN
    UPDATE ls_plugin_slot SET dirty = true, taken = taken + OLD.was_cancelled::int - NEW.was_cancelled::int
      WHERE task_id = NEW.task_id;
  END IF;
  RETURN NULL;
END $$ LANGUAGE plpgsql;
"""


def _postgres_answers(is_returned: str, taken: str) -> str:
    """The functions that check and note an answer.

    Args:
        is_returned: when the row came back to whose answer it is, so that they may answer it once more.
        taken: what else becomes of their hand-out with their answer.
    """
    return (_POSTGRES_ANSWERS % {"is_returned": is_returned, "taken": taken}).strip()


POSTGRES_ANSWERS_BEFORE_RETURNS = _postgres_answers("false", "")
POSTGRES_ANSWERS = _postgres_answers(_IS_RETURNED, ", returned = NULL")

POSTGRES_UP = f"""
CREATE OR REPLACE FUNCTION quorum_task() RETURNS trigger AS $$
BEGIN
  IF current_setting('quorum.on', true) IS DISTINCT FROM 'on' THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' THEN
    {
    _NEW_SLOT.format(
        id="NEW.id",
        project="NEW.project_id",
        row_id=_POSTGRES_ROW.format("NEW"),
        domain=_POSTGRES_DOMAIN.format("NEW"),
        source="",
        **_POSTGRES_NEW,
    )
};
    RETURN NEW;
  ELSIF TG_OP = 'UPDATE' THEN
    IF EXISTS (SELECT 1 FROM ls_plugin_slot s WHERE s.task_id = OLD.id
               AND (NEW.project_id IS DISTINCT FROM OLD.project_id OR (s.stage = 0 AND NEW.data::text <> OLD.data::text))) THEN
      RAISE EXCEPTION 'quorum:task_data' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
  END IF;
  DELETE FROM ls_plugin_grant WHERE task_id = OLD.id;
  DELETE FROM ls_plugin_excluded WHERE task_id = OLD.id;
  DELETE FROM ls_plugin_slot WHERE task_id = OLD.id;
  RETURN OLD;
END $$ LANGUAGE plpgsql;

{POSTGRES_ANSWERS_BEFORE_RETURNS}
CREATE OR REPLACE FUNCTION quorum_answer_kept() RETURNS trigger AS $$
BEGIN
  IF current_setting('quorum.on', true) IS NOT DISTINCT FROM 'on' AND NOT OLD.was_cancelled
     AND EXISTS (SELECT 1 FROM ls_plugin_slot WHERE task_id = OLD.task_id AND row_id <> '') THEN
    RAISE EXCEPTION 'quorum:answered' USING ERRCODE = '23514';
  END IF;
  RETURN OLD;
END $$ LANGUAGE plpgsql;

CREATE TRIGGER quorum_task_new AFTER INSERT ON task FOR EACH ROW EXECUTE FUNCTION quorum_task();
CREATE TRIGGER quorum_task_data BEFORE UPDATE OF data, project_id ON task FOR EACH ROW EXECUTE FUNCTION quorum_task();
CREATE TRIGGER quorum_task_gone AFTER DELETE ON task FOR EACH ROW EXECUTE FUNCTION quorum_task();
CREATE TRIGGER quorum_answer_check BEFORE INSERT OR UPDATE ON task_completion FOR EACH ROW EXECUTE FUNCTION quorum_answer_check();
CREATE TRIGGER quorum_answer_kept BEFORE DELETE ON task_completion FOR EACH ROW EXECUTE FUNCTION quorum_answer_kept();
CREATE TRIGGER quorum_answer_note AFTER INSERT OR UPDATE OR DELETE ON task_completion FOR EACH ROW EXECUTE FUNCTION quorum_answer_note();
"""
POSTGRES_DOWN = """
DROP TRIGGER IF EXISTS quorum_task_new ON task;
DROP TRIGGER IF EXISTS quorum_task_data ON task;
DROP TRIGGER IF EXISTS quorum_task_gone ON task;
DROP TRIGGER IF EXISTS quorum_answer_check ON task_completion;
DROP TRIGGER IF EXISTS quorum_answer_kept ON task_completion;
DROP TRIGGER IF EXISTS quorum_answer_note ON task_completion;
DROP FUNCTION IF EXISTS quorum_task();
DROP FUNCTION IF EXISTS quorum_answer_check();
DROP FUNCTION IF EXISTS quorum_answer_kept();
DROP FUNCTION IF EXISTS quorum_answer_note();
"""


def _kept_on_postgres(what: str, table: str, code: str) -> tuple[str, str]:
    """What keeps the lines of a table as they are, and what takes that back; each is a migration's own."""
    up = f"""
CREATE OR REPLACE FUNCTION quorum_{what}_kept() RETURNS trigger AS $$
BEGIN
  IF current_setting('quorum.on', true) IS NOT DISTINCT FROM 'on' THEN
    RAISE EXCEPTION 'quorum:{code}' USING ERRCODE = '23514';
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER quorum_{what}_kept BEFORE UPDATE OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION quorum_{what}_kept();
"""
    down = f"""
DROP TRIGGER IF EXISTS quorum_{what}_kept ON {table};
DROP FUNCTION IF EXISTS quorum_{what}_kept();
"""
    return up, down


POSTGRES_MESSAGES_UP, POSTGRES_MESSAGES_DOWN = _kept_on_postgres("message", "ls_plugin_message", "message_stays")
POSTGRES_GUIDELINES_UP, POSTGRES_GUIDELINES_DOWN = _kept_on_postgres(
    "guidelines", "ls_plugin_guidelineversion", "guidelines_stay"
)


def existing_tasks_sql(vendor: str) -> str:
    """The statement that gives every task of a project (one parameter: its id) the slot it has not yet."""
    row, domain, new = (
        (_SQLITE_ROW, _SQLITE_DOMAIN, _SQLITE_NEW)
        if vendor == "sqlite"
        else (_POSTGRES_ROW, _POSTGRES_DOMAIN, _POSTGRES_NEW)
    )
    return _NEW_SLOT.format(
        id="t.id",
        project="t.project_id",
        row_id=row.format("t"),
        domain=domain.format("t"),
        source="FROM task t WHERE t.project_id = %s AND NOT EXISTS (SELECT 1 FROM ls_plugin_slot s WHERE s.task_id = t.id)",
        **new,
    )


def draw_again_sql() -> str:
    """The statement that draws the places of a project's rows (one parameter: its id) from its seed."""
    drawn = _DRAW.replace("n.row_id", "ls_plugin_slot.row_id")
    seeded = f"SELECT {drawn} FROM ls_plugin_campaignproject p WHERE p.project_id = ls_plugin_slot.project_id"
    return f"UPDATE ls_plugin_slot SET draw = ({seeded}) WHERE project_id = %s"


def _arm(connection: Any, **_: Any) -> None:
    """Give a fresh SQLite connection its triggers, once the plugin's tables are there."""
    if connection.vendor != "sqlite":
        return
    with connection.connection as raw:
        # The newest table that they stand on: a database of a version before gets them when it is migrated.
        newest = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ls_plugin_guidelineversion'"
        ready = raw.execute(newest).fetchone()
        armed = raw.execute("SELECT 1 FROM sqlite_temp_master WHERE name = 'quorum_task_new'").fetchone()
        if ready and not armed:
            for sql in _SQLITE:
                raw.execute(sql)


def _disarm(using: str, **_: Any) -> None:
    """Take the triggers off while migrations rebuild the tables that they stand on."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for name in _SQLITE_NAMES:
                cursor.execute(f"DROP TRIGGER IF EXISTS temp.{name}")


def _rearm(using: str, **_: Any) -> None:
    _arm(connections[using])


def install() -> None:
    """Give every new database connection its rules."""
    connection_created.connect(_arm, dispatch_uid="quorum_arm")
    pre_migrate.connect(_disarm, dispatch_uid="quorum_disarm")
    post_migrate.connect(_rearm, dispatch_uid="quorum_rearm")
    # Label Studio reads the database while it is being loaded: that connection is older than the rules.
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _arm(connection)
