"""Other systems and programs: connectors, webhooks, API keys, requests sent twice."""
