from django.db.models import Model

class AzureBlobImportStorage(Model):
    pk: int
    project_id: int

class AzureBlobExportStorage(Model):
    pk: int
    project_id: int
