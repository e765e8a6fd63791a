# The columns of Label Studio's accounts that Quorum touches.
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from organizations.models import Organization

class UserManager(BaseUserManager[User]):
    def create_user(self, email: str, password: str | None = None) -> User: ...

class User(AbstractBaseUser):
    objects: ClassVar[UserManager]
    pk: int
    id: int
    email: str
    username: str
    first_name: str
    last_name: str
    is_active: bool
    is_superuser: bool
    active_organization: Organization | None
    active_organization_id: int | None
    @property
    def own_organization(self) -> Organization | None: ...
