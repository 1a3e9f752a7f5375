"""Filters of Ansible for the playbook of servers."""
