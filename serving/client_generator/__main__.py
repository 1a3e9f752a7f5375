"""`python -m serving.client_generator` writes the generated modules of okr_client."""

from serving.client_generator.description import read
from serving.client_generator.files import generated, write

write(generated(read()))
