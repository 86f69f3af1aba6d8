"""Keeps claims, volumes and their attribute classes from going while somebody uses them.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
"""
