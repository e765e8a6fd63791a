from django.db.models import Model

class LocalFilesImportStorage(Model):
    pk: int
    project_id: int

class LocalFilesExportStorage(Model):
    pk: int
    project_id: int
