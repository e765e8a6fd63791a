from django.db.models import Model

class S3ImportStorage(Model):
    pk: int
    project_id: int

class S3ExportStorage(Model):
    pk: int
    project_id: int
