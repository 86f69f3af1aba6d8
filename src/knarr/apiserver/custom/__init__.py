"""Custom resources, served: `registry` follows the definitions, `status` and `cleanup` are their controllers."""
