"""What people are told of, in time: notices, who reads them, and what leaves the server by mail and webhook."""
