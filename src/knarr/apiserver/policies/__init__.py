"""Admission by expressions: ValidatingAdmissionPolicy and MutatingAdmissionPolicy, their bindings and parameters.

`index` knows which policies are in force, `params` finds what they are parametrized by, `evaluation` runs expressions,
`validating` and `mutating` decide; the steps of the admission chain stand in `admission_policies` beside this package.
Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/ and
https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""
