"""The Admin API of a Kong without a database; stands for kong/api and kong/db/errors.lua."""
