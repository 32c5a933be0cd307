# A function that reads the secret app/db through rotaware.

terraform {
  required_version = ">= 1.5"

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.4"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "layer_arn" {
  description = "From the table of `make publish`, for this Region and processor"
  type        = string
}

variable "reading_policy_arn" {
  description = "The output ReadingPolicyArn of rotaware's stack"
  type        = string
}

data "aws_partition" "current" {}

data "aws_secretsmanager_secret" "db" {
  name = "app/db"
}

data "archive_file" "code" {
  type        = "zip"
  source_dir  = "${path.module}/../function"
  output_path = "${path.module}/function.zip"
}

resource "aws_iam_role" "function" {
  name_prefix = "reader-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_iam_role_policy_attachment" "rotaware" {
  role       = aws_iam_role.function.name
  policy_arn = var.reading_policy_arn
}

resource "aws_iam_role_policy" "secret" {
  role = aws_iam_role.function.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = data.aws_secretsmanager_secret.db.arn
    }]
  })
}

resource "aws_lambda_function" "reader" {
  function_name    = "reader"
  role             = aws_iam_role.function.arn
  filename         = data.archive_file.code.output_path
  source_code_hash = data.archive_file.code.output_base64sha256
  handler          = "app.handler"
  runtime          = "python3.13"
  architectures    = ["arm64"]
  memory_size      = 256
  layers           = [var.layer_arn]

  environment {
    variables = {
      SECRET_DB               = "app/db"
      ROTAWARE_CHECK_INTERVAL = "5"
    }
  }
}
