"""Where a PBX finds the gateway's two calls."""

VERIFY = "/api/v1/integration/yeastar/sms/verify"
SEND = "/api/v1/integration/yeastar/sms/sendmessage"
