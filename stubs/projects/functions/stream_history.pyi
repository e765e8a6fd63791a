from projects.models import Project
from tasks.models import Task
from users.models import User

def add_stream_history(next_task: Task | None, user: User, project: Project) -> None: ...
