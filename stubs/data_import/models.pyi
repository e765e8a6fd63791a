from django.db.models import Model

class FileUpload(Model):
    pk: int
    project_id: int
