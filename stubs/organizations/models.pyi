# The columns of Label Studio's organisations that Quorum touches.
from datetime import datetime

from django.db.models import Model
from users.models import User

class Organization(Model):
    pk: int
    created_by: User | None
    created_by_id: int | None
    def add_user(self, user: User) -> OrganizationMember | None: ...

class OrganizationMember(Model):
    user_id: int
    organization_id: int
    deleted_at: datetime | None
