from django.db.models import Model

class LabelLink(Model):
    pk: int
    project_id: int
