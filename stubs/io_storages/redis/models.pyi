from django.db.models import Model

class RedisImportStorage(Model):
    pk: int
    project_id: int

class RedisExportStorage(Model):
    pk: int
    project_id: int
