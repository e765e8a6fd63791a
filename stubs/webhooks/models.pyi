from django.db.models import Model

class Webhook(Model):
    pk: int
    project_id: int
