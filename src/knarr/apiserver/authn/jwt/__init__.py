"""JSON Web Tokens of other issuers (OpenID Connect), by structured authentication configuration.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
"""
