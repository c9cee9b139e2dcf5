"""Who is who: users who sign in, customers who are billed, and the keys of their programs."""
