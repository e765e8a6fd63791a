from django.db.models import Model

class RedisImportStorage(Model):
    pk: int
    project_id: int
    def get_client(self) -> object: ...

class RedisExportStorage(Model):
    pk: int
    project_id: int
