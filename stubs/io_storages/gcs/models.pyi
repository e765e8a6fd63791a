from django.db.models import Model

class GCSImportStorage(Model):
    pk: int
    project_id: int

class GCSExportStorage(Model):
    pk: int
    project_id: int
