from data_manager.models import PrepareParams
from projects.models import Project

def get_prepare_params(request: object, project: Project) -> PrepareParams: ...
