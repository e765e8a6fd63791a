from django.http import HttpRequest
from users.models import User

class CurrentContext:
    @classmethod
    def get_user(cls) -> User | None: ...
    @classmethod
    def clear(cls) -> None: ...

def get_current_request() -> HttpRequest | None: ...
