"""Coming from Dkron: its stores, files and API → jobs and executions that this server takes. Readers get the records;
what is made of them is pure."""
