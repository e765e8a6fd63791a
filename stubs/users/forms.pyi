from typing import Any

from django import forms

INVALID_USER_ERROR: str

class LoginForm(forms.Form):
    def clean(self) -> dict[str, Any]: ...
