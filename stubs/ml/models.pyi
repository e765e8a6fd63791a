from django.db.models import Model

class MLBackend(Model):
    pk: int
    project_id: int
    title: str
    url: str
    auth_method: str
    basic_auth_user: str | None
    basic_auth_pass: str | None
