from django.db.models import Model

class MLBackend(Model):
    pk: int
    project_id: int
