"""Programs that use generated clients, and what generates the one in TypeScript."""
