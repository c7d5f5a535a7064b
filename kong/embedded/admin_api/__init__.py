"""The Admin API of a Kong without a database; stands for kong/api and kong/db/errors.lua."""

from kong.embedded.admin_api.api import create_admin

__all__ = ["create_admin"]
